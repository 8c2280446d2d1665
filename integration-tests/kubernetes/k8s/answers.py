"""What answers of echo pods say: who answered, and whether requests are balanced."""

from harness.poll import wait_for


def names(pods):
    return {pod["metadata"]["name"] for pod in pods}


def answered_by(answers):
    """Pods that answered; every request must have been."""
    assert [answer for answer in answers if answer["status"] != 200] == []
    return {answer["heard"]["pod"] for answer in answers}


def answers_of_one_connection(client, url, times=20):
    """Pods that answered that many requests of one connection."""
    return answered_by(client.get(url, times, keepalive=True))


def wait_balanced(client, url, pods, seconds=10):
    """Until requests of one connection reach all these pods and no other: only weft does that."""
    wanted = names(pods)

    def is_balanced():
        answers = client.get(url, 20, keepalive=True)
        return {answer["status"] for answer in answers} == {200} and answered_by(answers) == wanted

    wait_for(is_balanced, f"{url} to be balanced", seconds)
