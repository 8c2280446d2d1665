/* What a test lets a peer do, and what the peer saw. */
#include <errno.h>

#include "io/double/world.h"

void io_peer_send(struct io_peer *peer, struct span bytes)
{
	world_lock();
	if (peer->is_closed)
		peer->saw_reset = true; /* TCP's answer to bytes for a closed socket */
	else
		world_bytes_add(&peer->to_us, bytes.data, bytes.size);
	world_unlock();
}

void io_peer_finish(struct io_peer *peer)
{
	world_lock();
	peer->sent_fin = true;
	world_unlock();
}

void io_peer_reset(struct io_peer *peer)
{
	world_lock();
	peer->was_reset = true;
	peer->pending_error = -ECONNRESET;
	world_unlock();
}

void io_peer_pieces(struct io_peer *peer, size_t most)
{
	peer->piece_bytes = most;
}

void io_peer_window(struct io_peer *peer, uint64_t bytes)
{
	world_lock();
	peer->window = bytes;
	world_unlock();
}

void io_peer_read(struct io_peer *peer, size_t bytes)
{
	world_lock();
	size_t unread = peer->from_us.size - peer->read;
	peer->read += bytes < unread ? bytes : unread;
	world_unlock();
}

void io_peer_passes_tcp(struct io_peer *peer)
{
	world_lock();
	peer->passes_tcp = true;
	world_unlock();
}

void io_peer_fail_sends(struct io_peer *peer, int error)
{
	world_lock();
	peer->send_error = error;
	world_unlock();
}

struct span io_peer_received(const struct io_peer *peer)
{
	return span_of(peer->from_us.data ? peer->from_us.data : "", peer->from_us.size);
}

void io_peer_forget(struct io_peer *peer)
{
	world_lock();
	peer->from_us.size = peer->read = 0;
	world_unlock();
}

bool io_peer_saw_fin(const struct io_peer *peer)
{
	return peer->saw_fin;
}

bool io_peer_saw_reset(const struct io_peer *peer)
{
	return peer->saw_reset;
}

/* TCP resets a connection that is closed with bytes unread. */
bool io_peer_would_see_reset(const struct io_peer *peer)
{
	bool is_unread = !peer->passes_tcp && io_peer_unreceived(peer) > 0;
	return peer->resets_when_closed || is_unread;
}

bool io_peer_is_closed(const struct io_peer *peer)
{
	return peer->is_closed;
}

size_t io_peer_unreceived(const struct io_peer *peer)
{
	return peer->to_us.size - peer->received;
}

const struct weft_address *io_peer_source(const struct io_peer *peer)
{
	return &peer->source;
}
