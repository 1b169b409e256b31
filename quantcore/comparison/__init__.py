"""What `quantcore.compare` is made of: matching two models, feeding their operators, measuring the error."""
