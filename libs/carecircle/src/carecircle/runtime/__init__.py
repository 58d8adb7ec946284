"""What every service process needs: settings, logs, health, and the way it starts and stops."""
