"""What drives the axes of a map: member properties, correlations, interventions."""
