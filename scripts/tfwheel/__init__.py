"""Build, repair, test and serve custom TensorFlow wheels."""
