"""The student and its teachers, what they cost, what can be removed, and how files predict."""
