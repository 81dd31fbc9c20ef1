"""What can be done to a lab's fleet: by bayplan, by the bare Engine API, by Swarm; and load from outside."""
