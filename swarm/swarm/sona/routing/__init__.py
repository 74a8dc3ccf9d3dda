"""Which route to take: models, tools, prompts, agents or variants, by what is expected of each. NumPy only.

traits      what can be counted in a task's text       near      what the patterns around a task say
features    traits and embedding as fixed functions    request   strategy, hard bounds, exploration
statistics  sums over outcomes, which add up           choice    the choice, with every candidate explained
model       regressions from those sums
"""
