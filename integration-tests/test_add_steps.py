"""The published demo "add-steps" in short: what fails without a mesh does not fail through weft. bench/ has its times."""

from harness.add_steps import AddSteps, figures

SECONDS = 6


def test_ten_replicas_some_slow_some_failing_are_one_good_service(cluster, daemon):
    with AddSteps(cluster) as steps:
        mesh = daemon([steps.service])
        alone = figures(steps.direct(3, clients=20), 3)
        through = figures(steps.meshed(mesh, SECONDS, clients=20), SECONDS)
        print(f"direct {alone}\nweft   {through}")
        assert alone["success_percent"] < 95
        assert through["success_percent"] > 99.5 and through["requests"] > 200
        assert mesh.weftd.metrics().service("weft_retries_total", "steps") > 0
