"""What is told to whoever gave the data."""


class Failure(Exception):
    """A reason in capitals, a message that names what is wrong and the remedy, and details of it."""

    def __init__(self, reason, message, **details):
        super().__init__(message)
        self.reason = reason
        self.details = details

    def at(self, file, place):
        """The same, found in a record of a file."""
        name, number = place
        where = f"{file}:{number}" if name == "line" else f"{file}: {name} {number}"
        return Failure(self.reason, f"{where}: {self}", **self.details | {"file": file, name: str(number)})

    def as_json(self):
        return {"code": "INVALID_ARGUMENT", "reason": self.reason, "message": str(self), "details": self.details}
