"""Who answers: language models behind an API, what they said, and what it cost."""
