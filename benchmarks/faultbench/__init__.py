"""How well causes, impact and severity are found: seeded faults in synthetic hospitals, through the real engine."""
