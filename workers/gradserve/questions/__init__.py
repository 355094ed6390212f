"""What is asked and what is answered, as frozen records: said once, for client, wire, jobs and service."""
