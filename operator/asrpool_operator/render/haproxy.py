"""The gateway's HAProxy configuration, as a pure function of the pool.

What it promises to streams (each has a test with the real HAProxy under tests/gateway):

- a session id comes back to its pod for `resumeSeconds`, also while that pod drains. The stick table holds the pod's
  ADDRESS, so a server slot that DNS gives to another pod takes no sessions with it;
- a newcomer goes to a pod that has room, is placed anew when its worker does not take it, and otherwise waits up to
  `queueSeconds` before it gets 503 with Retry-After (gateway.lua);
- a session that comes back is never tried elsewhere when its own pod is full: it waits there;
- nothing here ends a live stream: not a pod in drain, a pod that fails checks, a record gone from DNS, nor a reload.

The text is valid for HAProxy 2.6 (Debian 12) and newer. It needs no API server: workers are found by DNS SRV.
"""

from __future__ import annotations

from importlib import resources

from asrpool_operator.api import ASRPool
from asrpool_operator.render import names

STREAMS_BEYOND_WORKERS = 1000
"""Connections beyond what workers hold and the queue: health checks, metrics, refusals on their way."""
IDLE_MARGIN_SECONDS = 60
"""The worker ends an idle stream, with a reason; the gateway's own limit must come later."""
ENTRY_MARGIN_SECONDS = 60
FEWEST_SLOTS = 128
MOST_SPARE_SLOTS = 8192
MOST_ENDED_SESSIONS = 200_000
"""Of how many sessions it is known when they ended: about 40 MB. The others are sent to their pod, which knows."""
TRIES = 1000
"""How often one stream may be sent to workers; its time in the queue is over long before."""
REQUEST_SECONDS = 600
"""How long a worker may work on one HTTP request (a long file) before it answers."""
LOST_PEER_SECONDS = 30
"""A node that vanishes sends no reset: its connections are given up when sent bytes stay unacknowledged this long."""


def server_slots(pool: ASRPool) -> int:
    """How many workers the gateway can know at once; a pod without a slot is not there for it.

    Every pod with a record holds one, also those on their way out: of earlier rollouts, and of a `maxReplicas` that was
    higher. Hence eight times `maxReplicas`. Beyond 8192 slots HAProxy takes long to start (4 s and 64 MB there; 0.2 s and
    11 MB for 512), so that large pools have room for two generations only. Powers of two, so that most edits of
    `maxReplicas` leave the configuration as it is.
    """
    replicas = pool.spec.scaling.max_replicas
    wanted = max(FEWEST_SLOTS, min(8 * replicas, MOST_SPARE_SLOTS), 2 * replicas)
    return 1 << (wanted - 1).bit_length()


def entry_seconds(pool: ASRPool) -> int:
    """How long the stick table remembers a session's pod, counted from when its last stream BEGAN.

    Nothing starts that anew while a stream lives, so it must be longer than any stream. Whether `resumeSeconds` are
    over is gateway.lua's to know.
    """
    return pool.spec.sessions.max_seconds + pool.spec.sessions.resume_seconds + ENTRY_MARGIN_SECONDS


def hard_stop_seconds(pool: ASRPool) -> int:
    """How long a process that was told to stop may keep its streams: no reload may end one that its worker would not."""
    longest = pool.spec.sessions.max_seconds + pool.spec.gateway.queue_seconds + ENTRY_MARGIN_SECONDS
    return max(pool.spec.scaling.drain_seconds, longest)


def haproxy_cfg(pool: ASRPool, cluster_domain: str) -> str:
    """The whole `haproxy.cfg` of a pool, but for the `gateways` peers section, which the image's entrypoint writes."""
    sections = [_global(pool), _defaults(pool), _resolvers(), _streams(pool), _workers(pool, cluster_domain), _admin()]
    return "\n".join(sections)


def gateway_lua() -> str:
    """The Lua beside it: the same for every pool."""
    return resources.files("asrpool_operator.render").joinpath("gateway.lua").read_text(encoding="utf-8")


def _global(pool: ASRPool) -> str:
    scaling, gateway = pool.spec.scaling, pool.spec.gateway
    # Twice: a stream that its first worker refused passes through HAProxy two times.
    connections = 2 * (scaling.max_replicas * pool.spec.sessions.capacity + gateway.max_queued) + STREAMS_BEYOND_WORKERS
    return f"""\
global
    log stdout format raw local0 info
    maxconn {connections}
    # One thread: between gateway.lua's choice of a worker and HAProxy's count of it nothing else may happen. It carries
    # thousands of streams; for more there are more gateways.
    nbthread 1
    # After a reload the old process keeps its streams, however long they may last. A pod that stops has less time:
    # drainSeconds, by its termination grace period.
    hard-stop-after {hard_stop_seconds(pool)}s
    stats socket "${{ASRPOOL_RUN_DIR}}/haproxy.sock" mode 600 level admin expose-fd listeners
    setenv ASRPOOL_BALANCE {gateway.balance}
    setenv ASRPOOL_QUEUE_MS {1000 * gateway.queue_seconds}
    setenv ASRPOOL_MAX_QUEUED {gateway.max_queued}
    setenv ASRPOOL_RESUME_MS {1000 * pool.spec.sessions.resume_seconds}
    setenv ASRPOOL_ENTRY_MS {1000 * entry_seconds(pool)}
    setenv ASRPOOL_MOST_ENDED {MOST_ENDED_SESSIONS}
    lua-load "${{ASRPOOL_LOADED_DIR}}/gateway.lua"
"""


def _defaults(pool: ASRPool) -> str:
    queue_seconds = pool.spec.gateway.queue_seconds
    answer_seconds = REQUEST_SECONDS + queue_seconds
    return f"""\
defaults
    mode http
    log global
    option httplog
    option dontlognull
    option http-server-close
    # Who leaves while it waits is not sent to a worker.
    option abortonclose
    timeout connect 1s
    timeout http-request 10s
    timeout http-keep-alive 10s
    timeout client {answer_seconds}s
    timeout server {answer_seconds}s
    timeout client-fin 30s
    timeout server-fin 30s
    timeout tunnel {pool.spec.sessions.idle_seconds + IDLE_MARGIN_SECONDS}s
    timeout check 2s
    # 0 would mean "for ever".
    timeout queue {f"{queue_seconds}s" if queue_seconds else "1ms"}
    http-error status 503 content-type application/json string '{{"error":"no worker can take this stream now"}}' \
hdr Retry-After {retry_after_seconds(pool)}
"""


def _resolvers() -> str:
    # Datagrams of any size, because a pool of a hundred workers does not fit into the usual 512 or 1232 bytes. Not TCP:
    # HAProxy 2.6 then keeps a process that was told to stop until hard-stop-after. A DNS that is down or has no answer must
    # not take working servers away; only a good answer without a record may.
    return """\
resolvers cluster
    nameserver cluster "${ASRPOOL_NAMESERVER}"
    accepted_payload_size 65535
    resolve_retries 3
    timeout resolve 500ms
    timeout retry 500ms
    hold valid 500ms
    hold obsolete 2s
    hold nx 2s
    hold timeout 1d
    hold refused 1d
    hold other 1d
"""


def _streams(pool: ASRPool) -> str:
    return f"""\
frontend streams
    bind :8080 tcp-ut {LOST_PEER_SECONDS}s
    # The session's identity is the gateway's word, never the client's.
    http-request del-header X-Asrpool-Session
    http-request del-header X-Asrpool-Placed
{_identity(pool)}
    http-request set-header X-Asrpool-Session %[var(txn.session)] if {{ var(txn.session) -m len gt 0 }}
    default_backend workers

frontend again
    bind "unix@${{ASRPOOL_RUN_DIR}}/again.sock" mode 600
    option dontlog-normal
    http-request set-var(txn.session) req.hdr(X-Asrpool-Session)
    http-request set-var(txn.placed) req.hdr(X-Asrpool-Placed)
    http-request set-var(txn.again) bool(true)
    default_backend workers
"""


def _identity(pool: ASRPool) -> str:
    sticky = pool.spec.gateway.sticky_on
    printable = "regsub([^!-~],,g),bytes(0,64)"
    if sticky.query is not None:
        return f"    http-request set-var(txn.session) url_param({sticky.query}),url_dec,{printable}"
    header = sticky.header or ""
    return f"""\
    http-request set-var(txn.session) req.hdr({header}),{printable}
    http-request set-var(txn.session) url_param({header.lower()}),url_dec,{printable} \
unless {{ var(txn.session) -m len gt 0 }}"""


def _workers(pool: ASRPool, cluster_domain: str) -> str:
    spec = pool.spec
    name = names.worker(pool.metadata.name)
    service = f"_ws._tcp.{name}.{pool.metadata.namespace}.svc.{cluster_domain}"
    return f"""\
backend workers
    stick-table type string len 64 size 1m expire {entry_seconds(pool)}s srvkey addr peers gateways store conn_cur
    http-request lua.place
    # Not placed: the client left while it waited.
    http-request deny deny_status 503 unless {{ var(txn.placed) -m found }}
    http-request set-header X-Asrpool-Placed %[var(txn.placed)]
    # The entry counts the session's live streams: so gateway.lua knows when the last one has ended.
    http-request track-sc0 var(txn.session) if {{ var(txn.session) -m len gt 0 }}
    # Who comes back waits at its own pod before newcomers do, and is not tried elsewhere when that pod is full.
    http-request set-priority-class int(-1) if {{ var(txn.comes_back) -m found }}
    http-request disable-l7-retry if {{ var(txn.comes_back) -m str surely }}
    # A second pass hands the worker's refusal back to the first one, which starts another second pass. 598 is the last
    # word between the two (gateway.lua): the client gets 503.
    acl second_pass var(txn.again) -m found
    http-request disable-l7-retry if second_pass
    http-response lua.refused if second_pass {{ status 503 }}
    http-response set-log-level silent if second_pass {{ status 503 }}
    http-response set-status 598 if second_pass {{ status 503 }} {{ var(txn.comes_back) -m str surely }}
    http-response set-status 503 reason "Service Unavailable" if !second_pass {{ status 598 }}
    use-server %[var(txn.worker)] if {{ var(txn.worker) -m len gt 0 }}
    # A refusal makes nobody the worker's own.
    stick match var(txn.session) if {{ var(txn.session) -m len gt 0 }}
    stick store-response var(txn.session) if {{ var(txn.session) -m len gt 0 }} !{{ status 503 }}
    # HAProxy itself never chooses a worker: they are all backups of `again`, where whoever was not taken is placed anew.
    balance roundrobin
    retries {TRIES}
    option redispatch 1
    retry-on conn-failure empty-response 503
    server again "unix@${{ASRPOOL_RUN_DIR}}/again.sock" non-stick
    option httpchk
    http-check send meth GET uri /readyz hdr Host {name}
    http-check expect status 200
    default-server check inter 1s fastinter 500ms downinter 500ms rise 1 fall 3
    default-server agent-check agent-port {names.AGENT_PORT} agent-inter 500ms
    default-server backup maxconn {spec.sessions.capacity} tcp-ut {LOST_PEER_SECONDS}s init-addr none
    server-template w 1-{server_slots(pool)} {service} resolvers cluster resolve-prefer ipv4
"""


def _admin() -> str:
    return """\
frontend admin
    bind :8404
    option dontlog-normal
    # Without the slots that hold no worker.
    http-request set-query no-maint if { path /metrics } !{ query -m found }
    http-request use-service prometheus-exporter if { path /metrics }
    http-request use-service lua.held if { path /held }
    http-request return status 200 content-type text/plain string ok if { path /healthz }
    http-request return status 404
"""


def retry_after_seconds(pool: ASRPool) -> int:
    """What a refused client is told to wait: as long as it would have waited in the queue."""
    return max(1, pool.spec.gateway.queue_seconds)
