"""Who is told, when and in which words: pure functions over one incident and what was told of it so far."""
