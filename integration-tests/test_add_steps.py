"""The published demo "add-steps" in short: what fails without a mesh does not fail through weft. bench/ has its times."""

import pytest
from harness.add_steps import AddSteps, run

SECONDS = 3


@pytest.mark.release
def test_ten_replicas_some_slow_some_failing_are_one_good_service(cluster, daemon):
    with AddSteps(cluster) as steps:
        mesh = daemon([steps.service])
        alone, through = run(SECONDS, steps.direct(20), steps.meshed(mesh, 20))
        print(f"direct {alone}\nweft   {through}")
        assert alone["success_percent"] < 97  # 88 on average
        assert through["success_percent"] > 99.5
        assert through["requests"] > 1.5 * alone["requests"] > 100  # as many clients: less time for each
        assert mesh.weftd.metrics().service("weft_retries_total", "steps") > 0
