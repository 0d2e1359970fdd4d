"""From readings to alerts: which rule is about which series, what it says of a reading, and the state it keeps."""
