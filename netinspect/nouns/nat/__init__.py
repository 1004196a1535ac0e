"""What is wrong with address translation (netinspect nat diagnose): facts (situation.py) and checks (checks.py)."""
