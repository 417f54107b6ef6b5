"""What the pytest plugin does once a test uses it; the plugin itself imports none of it before."""
