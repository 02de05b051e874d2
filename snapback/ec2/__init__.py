"""All that talks to EC2. Nothing else in snapback imports boto3."""
