import type { Config } from "@shardcast/config";

export type RestartConfig = Pick<Config, "restartBackoffMinMs" | "restartBackoffMaxMs" | "crashLimit" | "crashWindowMs">;

export type Verdict =
	| { readonly kind: "restart"; readonly afterMs: number }
	| { readonly kind: "giveUp"; readonly deaths: number; readonly withinMs: number | null };

/**
 * Decides what follows the death of one child: a pause that doubles with each death, then a restart; or, in a crash loop, the end
 * of the cluster. One per child; keeps no more than `crashLimit + 1` times of death.
 *
 * A child that lived for a whole crash window counts as stable: its next death is a first one again. A child that dies without ever
 * having become ready may take longer for each try than the window is (`--ready-timeout`), so such deaths are counted in a row as well.
 */
export class RestartPolicy {
	readonly #config: () => RestartConfig;
	readonly #random: () => number;
	#deathsMs: number[] = [];
	#deathsInARow = 0;
	#failedStartsInARow = 0;

	/** @param config looked up at each death, since they may change meanwhile. */
	constructor(config: () => RestartConfig, random: () => number = Math.random) {
		this.#config = config;
		this.#random = random;
	}

	/** @param servedMs how long the child had been ready; null = it never was. */
	died(nowMs: number, servedMs: number | null): Verdict {
		const { crashLimit, crashWindowMs, restartBackoffMinMs, restartBackoffMaxMs } = this.#config();
		if (servedMs !== null && servedMs >= crashWindowMs) this.#deathsInARow = 0;
		this.#deathsInARow += 1;
		this.#failedStartsInARow = servedMs === null ? this.#failedStartsInARow + 1 : 0;
		this.#deathsMs = [...this.#deathsMs.filter((deathMs) => nowMs - deathMs < crashWindowMs), nowMs];

		if (this.#deathsMs.length > crashLimit) return { kind: "giveUp", deaths: this.#deathsMs.length, withinMs: crashWindowMs };
		if (this.#failedStartsInARow > crashLimit) return { kind: "giveUp", deaths: this.#failedStartsInARow, withinMs: null };

		const pauseMs = Math.min(restartBackoffMaxMs, restartBackoffMinMs * 2 ** (this.#deathsInARow - 1));
		// Half of the pause is drawn, so that children that died together do not come back together.
		return { kind: "restart", afterMs: pauseMs * (0.5 + this.#random() / 2) };
	}
}
