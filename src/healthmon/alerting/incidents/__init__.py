"""From alerts to incidents: one root, its members, whom it hurts, how bad it is and how it ends."""
