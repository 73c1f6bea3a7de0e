"""From gaze data to the shipped student: data, network, training, evaluation."""
