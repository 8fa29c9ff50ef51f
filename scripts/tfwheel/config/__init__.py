"""What the user asked for, as types: settings, targets, the plan, the jobs of CI; changes nothing."""
