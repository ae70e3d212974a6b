"""What the test programs outside the unit tests share: counting what holds and what does not, and saying so in the way that
./check reads."""


class Checks:
    """`quiet`: only what fails is printed."""

    def __init__(self, quiet=False):
        self.passed = self.failed = 0
        self._quiet = quiet

    def check(self, what, good, detail=""):
        """Counts and prints one; `detail` explains a failure. Gives `good` back."""
        if good:
            self.passed += 1
            if not self._quiet:
                print(f"   ok   {what}", flush=True)
        else:
            self.failed += 1
            print(f"   FAIL {what}\n        {detail}", flush=True)
        return good

    def finish(self):
        """The last line of the stage. Gives the exit code."""
        print(f"passed={self.passed} failed={self.failed}", flush=True)
        return 0 if self.failed == 0 else 1
