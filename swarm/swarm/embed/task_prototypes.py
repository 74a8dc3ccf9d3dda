"""What requests of each task type look like: a few short sentences per type.

They cover the ways in which such a request begins and what it asks for rather than subjects: the subject of
a request says little about its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

PROTOTYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "General": (
            "Send an email to the team with the attached file.",
            "Schedule an appointment with the dentist for next week.",
            "Change the delivery address of my account.",
            "Set an alarm for six o'clock.",
            "Book a flight and a hotel for the trip.",
            "Give me a short summary of the document.",
            "Rewrite the text in another language.",
            "Update the customer's record and close the ticket.",
            "Print the form and file a copy of it.",
            "Pay the bill from my savings account.",
            "Put milk and eggs on the shopping list.",
            "Why was my payment declined and how do I get a refund?",
        ),
        "Reasoning": (
            "Solve this math problem step by step.",
            "Prove that the statement holds for every integer.",
            "If all A are B and some B are C, what follows logically?",
            "Why does this argument fail? Analyse the cause.",
            "Compare the two options, weigh the trade-offs and decide which is better.",
            "Calculate the probability and explain your reasoning.",
            "How many are left if half of them are given away and three are added?",
            "Deduce who is lying from the clues of this puzzle.",
            "Plan the optimal order of the tasks under these constraints.",
            "Find the root cause of the failure and justify your conclusion.",
            "A car drives 60 miles in 90 minutes; what is its average speed?",
            "Is the conclusion valid given these premises? Explain each step.",
        ),
        "Factual": (
            "What is the capital of France?",
            "Who wrote this book and in which year was it published?",
            "When did the war end?",
            "How tall is the highest mountain in the world?",
            "Which country has the largest population?",
            "What is the meaning of the term photosynthesis?",
            "Where is this river and how long is it?",
            "Who was the first president of the United States?",
            "Name the chemical symbol of gold.",
            "Look up the definition and the date of this event.",
            "Who invented the steam engine?",
            "What is the speed of light in a vacuum?",
        ),
        "Creative": (
            "Write a poem about the sea.",
            "Tell a short story about a dragon and a child.",
            "Invent a slogan for a new brand of coffee.",
            "Compose song lyrics about lost love.",
            "Imagine a world without gravity and describe a day there.",
            "Write a dialogue between two characters of a fantasy novel.",
            "Brainstorm names for a fictional spaceship.",
            "Make up a funny limerick.",
            "Describe the sunset with vivid metaphors.",
            "Draft the opening scene of a screenplay.",
            "Write a speech in the voice of a grumpy wizard.",
            "Come up with a legend about how the stars were made.",
        ),
        "CodeGen": (
            "Write a Python function that sorts a list.",
            "Implement a REST API endpoint with authentication.",
            "Fix the bug in this code, the test raises an exception.",
            "Refactor this class and add unit tests.",
            "Write an SQL query that joins two tables.",
            "Add error handling to the parser module.",
            "Create a React component for a login form.",
            "Convert this shell script to JavaScript.",
            "Optimise the loop in this algorithm's source code.",
            "Write a regular expression that matches email addresses.",
            "Set up a Dockerfile and the build pipeline for the repository.",
            "Rename the variable and update the imports in every file.",
        ),
        "Conversational": (
            "Hi, how are you today?",
            "Thank you so much, that was really helpful!",
            "Good morning! How was your weekend?",
            "I feel a bit sad today, can we talk?",
            "Nice to meet you, what is your name?",
            "Hello there, who am I chatting with?",
            "Haha, that is funny. Tell me more about yourself.",
            "Goodbye, see you tomorrow.",
            "What do you think, do you like music?",
            "I am bored, let's chat for a while.",
            "Hey, what have you been up to?",
            "You are so kind, I really like talking to you.",
        ),
    }
)
