"""What is installed in Colab's runtimes, and what a wheel would change there."""
