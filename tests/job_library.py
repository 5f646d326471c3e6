"""A queue in memory for the tests of the jobs suite: messages with headers, retries, delays, and a mode that runs tasks at once."""

from __future__ import annotations

import itertools
from collections import deque
from threading import Lock
from time import sleep, time

numbers = itertools.count(1)


class Again(Exception):
    """Raised by a task that wants to run again."""


class Queue:
    name = "letters"

    def __init__(self):
        self.messages = deque()
        self.lock = Lock()

    def publish(self, task, args=(), headers=None, retries=0, due=0.0):
        message = {
            "id": next(numbers),
            "task": task,
            "args": args,
            "headers": dict(headers or {}),
            "retries": retries,
            "due": due,
        }
        with self.lock:
            self.messages.append(message)

    def take(self):
        with self.lock:
            return self.messages.popleft() if self.messages else None


class Worker:
    def run(self, queue, message):
        try:
            message["task"](*message["args"])
        except Again as error:
            self.retry(queue, message, error)
        except Exception as error:
            if message["retries"]:
                self.retry(queue, message, error)
            else:
                self.fail(queue, message, error)

    def retry(self, queue, message, error):
        queue.publish(message["task"], message["args"], headers=message["headers"], retries=message["retries"] - 1)

    def fail(self, queue, message, error):
        """Give a message up."""

    def work(self, queue):
        while (message := queue.take()) is not None:
            sleep(max(0.0, message["due"] - time()))
            self.run(queue, message)
