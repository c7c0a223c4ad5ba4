import type { Config } from "@shardcast/config";

type RestartConfig = Pick<Config, "restartBackoffMinMs" | "restartBackoffMaxMs" | "crashLimit" | "crashWindowMs">;

type Verdict =
	| { readonly kind: "restart"; readonly afterMs: number }
	| { readonly kind: "giveUp"; readonly deaths: number; readonly withinMs: number | null };

/**
 * Decides what follows the death of a child: a restart after a pause that doubles with each death, or the end of the cluster in a crash loop. One
 * per child. Bound: `crashLimit + 1` times of death.
 *
 * A child that ran for a whole crash window is stable: its next death counts as the first again. Attempts that never become ready may take longer
 * than the window (`--ready-timeout`), so consecutive deaths before readiness are counted separately.
 */
export class RestartPolicy {
	readonly #config: () => RestartConfig;
	readonly #random: () => number;
	#deathsMs: number[] = [];
	#deathsInARow = 0;
	#failedStartsInARow = 0;

	/** @param config called at each death, since options may change. */
	constructor(config: () => RestartConfig, random: () => number = Math.random) {
		this.#config = config;
		this.#random = random;
	}

	/** Call when the child has died. @param servedMs how long it was ready; null = never. */
	died(nowMs: number, servedMs: number | null): Verdict {
		const { crashLimit, crashWindowMs, restartBackoffMinMs, restartBackoffMaxMs } = this.#config();
		if (servedMs !== null && servedMs >= crashWindowMs) this.#deathsInARow = 0;
		this.#deathsInARow += 1;
		this.#failedStartsInARow = servedMs === null ? this.#failedStartsInARow + 1 : 0;
		this.#deathsMs = [...this.#deathsMs.filter((deathMs) => nowMs - deathMs < crashWindowMs), nowMs];

		if (this.#deathsMs.length > crashLimit) return { kind: "giveUp", deaths: this.#deathsMs.length, withinMs: crashWindowMs };
		if (this.#failedStartsInARow > crashLimit) return { kind: "giveUp", deaths: this.#failedStartsInARow, withinMs: null };

		const pauseMs = Math.min(restartBackoffMaxMs, restartBackoffMinMs * 2 ** (this.#deathsInARow - 1));
		// Half of the pause is random, so that children that died together do not restart together.
		return { kind: "restart", afterMs: pauseMs * (0.5 + this.#random() / 2) };
	}
}
