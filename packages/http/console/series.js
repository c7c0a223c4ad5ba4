import { quantile } from "./quantile.js";

/** Points kept for the charts: two minutes at one a second. */
export const pointsMax = 120;

/**
 * What a latency quantile is taken over. In one second of a quiet cluster there are fewer than a hundred deliveries, and the p99
 * of those would be the slowest of them.
 */
const latencyWindowMs = 10_000;
/** The window's snapshots; more than this only if they come faster than once a second, and then the window is shorter. */
const windowMax = 20;

/**
 * Turns the feed's growing counters into rates. A counter never falls while a cluster lives (the scoreboard outlives a
 * shard's process), so a fall means another cluster: the series restarts.
 */
export class Series {
	#last = null;
	/** The snapshots of the last ten seconds, oldest first: their moments and histograms. */
	#window = [];
	times = [];
	messages = [];
	deliveries = [];
	p50 = [];
	p99 = [];
	/** shard id → deliveries per second, newest last */
	perShard = new Map();
	/** shard id → { deliveries, cpu } of the last interval */
	now = new Map();

	add(snapshot) {
		const last = this.#last;
		this.#last = snapshot;
		if (last === null) return this.#widen(snapshot);
		const seconds = (snapshot.monotonicMs - last.monotonicMs) / 1000;
		if (seconds <= 0) return;
		if (total(snapshot, "deliveries") < total(last, "deliveries")) return this.#restart(snapshot);
		const per = (name) => Math.max(0, total(snapshot, name) - total(last, name)) / seconds;
		this.#widen(snapshot);
		const latency = snapshot.latency.counts.map((value, index) => value - (this.#window[0].counts[index] ?? 0));
		this.#push(this.times, snapshot.at / 1000);
		this.#push(this.messages, per("messagesIn") + ingestRate(snapshot, last, seconds));
		this.#push(this.deliveries, per("deliveries"));
		this.#push(this.p50, quantile(snapshot.latency.uppersMs, latency, 0.5));
		this.#push(this.p99, quantile(snapshot.latency.uppersMs, latency, 0.99));
		this.now.clear();
		for (const shard of snapshot.shards) {
			const before = last.shards.find(({ id }) => id === shard.id);
			const grown = (name) => (before ? Math.max(0, shard.counters[name] - before.counters[name]) / seconds : 0);
			this.now.set(shard.id, { deliveries: grown("deliveries"), cpu: grown("cpuMs") / 1000 });
			if (!this.perShard.has(shard.id)) this.perShard.set(shard.id, []);
			this.#push(this.perShard.get(shard.id), grown("deliveries"));
		}
	}

	#push(list, value) {
		list.push(value);
		if (list.length > pointsMax) list.shift();
	}

	/** Takes a snapshot into the window, and lets go those that are not needed to look back ten seconds. */
	#widen({ monotonicMs, latency }) {
		this.#window.push({ monotonicMs, counts: latency.counts });
		while (this.#window.length > windowMax || (this.#window.length > 1 && monotonicMs - this.#window[1].monotonicMs >= latencyWindowMs))
			this.#window.shift();
	}

	#restart(snapshot) {
		this.#window = [];
		this.#widen(snapshot);
		for (const list of [this.times, this.messages, this.deliveries, this.p50, this.p99]) list.length = 0;
		this.perShard.clear();
	}
}

export const total = (snapshot, name) => snapshot.shards.reduce((sum, shard) => sum + (shard.counters[name] ?? 0), 0);

/** Records from Kafka per second. Each shard reads every record in per-shard mode, so the busiest shard's rate is the cluster's. */
function ingestRate(snapshot, last, seconds) {
	if (!snapshot.kafka || !last.kafka) return 0;
	return Math.max(0, snapshot.kafka.records - last.kafka.records) / seconds;
}
