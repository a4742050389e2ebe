"""What each module does: name rules as data, and their assignment with evidence."""
