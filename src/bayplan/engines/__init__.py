"""Docker Engines, real and in memory."""
