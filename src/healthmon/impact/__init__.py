"""Pure hospital maths: what needs what, how many ways are left, how bad it is, who is in."""
