"""What is computed from a collection:
categories, calibration, neighbours, duplicates, evaluation, fine-tuning.
"""
