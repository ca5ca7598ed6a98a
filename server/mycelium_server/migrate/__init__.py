"""Tasks that were kept in another program's files, as records of ours.

One module for each form, which reads it into the values of `foreign`; `records` makes tasks and workflows of these.
"""
