"""A real Kubernetes of N nodes on one machine, from Go modules and Debian packages."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # harness
