"""Counts the cases of a suite and prints each of them, for the folders beside this file."""
import time


class Tally:
    """The cases that have passed and failed, in a table with these rows and columns."""

    def __init__(self, what, rows, columns):
        self.what, self.columns = what, columns
        self.table = {row: {} for row in rows}
        self.passed = self.failed = self.skipped = 0

    def note(self, row, column, title, passed, told):
        """Counts a case."""
        self.passed += passed
        self.failed += not passed
        cell = self.table[row].setdefault(column, [0, 0])
        cell[not passed] += 1
        print("%s %s, %s: %s" % ("pass" if passed else "FAIL", row, title, told), flush=True)

    async def case(self, row, column, title, running):
        """Waits for a case. It returns what there is to say about it, or raises."""
        began = time.monotonic()
        try:
            told, passed = await running, True
        except Exception as e:  # any error means that this case failed
            told, passed = "%s: %s" % (type(e).__name__, e), False
        self.note(row, column, title, passed, "%s (%.1f s)" % (told or "as expected", time.monotonic() - began))

    def skip(self, row, title, why):
        """Names a case that is not judged, and neither passes nor fails."""
        self.skipped += 1
        print("skip %s, %s: %s" % (row, title, why), flush=True)

    def show(self):
        columns = self.columns
        print("\n| %s | %s |\n| --- |%s" % (self.what, " | ".join(columns), " ---: |" * len(columns)))
        for row, cells in self.table.items():
            shown = ["%d of %d" % (cells[c][0], sum(cells[c])) if c in cells else "–" for c in columns]
            print("| %s | %s |" % (row, " | ".join(shown)))
        skipped = ", %d skipped" % self.skipped if self.skipped else ""
        print("\n%d passed, %d failed%s" % (self.passed, self.failed, skipped))

    def status(self):
        """Returns the exit status of the suite."""
        return 1 if self.failed or not self.passed else 0
