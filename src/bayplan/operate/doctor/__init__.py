"""What is wrong with this machine, the files and the hosts: each thing with where it is and what to do."""

from bayplan.operate.doctor.files import file_findings
from bayplan.operate.doctor.finding import Finding, Level
from bayplan.operate.doctor.fleet import fleet_findings
from bayplan.operate.doctor.machine import machine_findings

__all__ = ["Finding", "Level", "file_findings", "fleet_findings", "machine_findings"]
