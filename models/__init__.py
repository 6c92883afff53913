"""GLASS, and the parts that any semantic-ID recommender is made of."""
