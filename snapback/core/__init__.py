"""What snapback decides by: pure, and knowing nothing of the outside."""
