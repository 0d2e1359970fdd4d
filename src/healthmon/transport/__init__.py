"""Rank 2: from an agent's spool over MQTT to the server's inbox, and acknowledgements back."""
