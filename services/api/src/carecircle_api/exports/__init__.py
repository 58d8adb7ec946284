"""Files that people take with them: how each looks on the outside. What is in them is the use cases' word."""
