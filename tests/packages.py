"""Installs the Python and npm packages that a suite needs, for the folders beside this file."""
import filecmp
import os
import shutil
import subprocess
import sys


class Packages:
    """The packages of requirements.txt, in a virtual environment, and those of package.json, in a folder of their own.

    `here` has the two files, and everything is installed below `folder`.
    """

    def __init__(self, here, folder):
        self.python = os.path.join(folder, "venv", "bin", "python")
        self.node = os.path.join(folder, "node")
        os.makedirs(self.node, exist_ok=True)
        self.install(here, folder, "requirements.txt", self.install_python)
        self.install(here, self.node, "package.json", self.install_node)

    @staticmethod
    def install(here, folder, name, how):
        """Installs again only if the file that names the versions has changed."""
        wanted, have = os.path.join(here, name), os.path.join(folder, name)
        installed = have + ".installed"
        if os.path.exists(installed) and filecmp.cmp(wanted, installed, shallow=False):
            return
        shutil.copy(wanted, have)
        how(have)
        shutil.copy(wanted, installed)

    def install_python(self, requirements):
        venv = os.path.dirname(os.path.dirname(self.python))
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", requirements],
                       check=True, stdout=sys.stderr)

    def install_node(self, _):
        subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"],
                       cwd=self.node, check=True, stdout=sys.stderr)
