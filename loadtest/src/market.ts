/** One event of the made-up exchange. */
export interface MarketEvent {
	readonly symbol: string;
	readonly kind: "trade" | "quote";
	readonly data: Readonly<Record<string, string | number>>;
}

/** Prices to begin with, and how much of the trading each symbol has. */
const listed = [
	{ symbol: "BTC", price: 64_000, share: 0.4 },
	{ symbol: "ETH", price: 3200, share: 0.25 },
	{ symbol: "SOL", price: 150, share: 0.15 },
	{ symbol: "XRP", price: 0.55, share: 0.1 },
	{ symbol: "ADA", price: 0.45, share: 0.06 },
	{ symbol: "DOGE", price: 0.12, share: 0.04 },
] as const;

const tradesPerEvent = 0.3;
/** Standard step of a price per event, as a part of it. */
const step = 0.0002;
const halfSpread = 0.0001;

/** Prices that walk at random, with a quote around each and trades on either side of it. Numbered per symbol, so that gaps show. */
export class Market {
	readonly #random: () => number;
	readonly #symbols = listed.map((of) => ({ ...of, price: of.price as number, sequence: 0 }));

	constructor(random: () => number) {
		this.#random = random;
	}

	next(timeMs: number): MarketEvent {
		const of = this.#pick();
		of.price *= Math.exp((this.#random() + this.#random() - 1) * step * 2);
		of.sequence++;
		const [bid, ask] = [rounded(of.price * (1 - halfSpread)), rounded(of.price * (1 + halfSpread))];
		const common = { symbol: of.symbol, sequence: of.sequence, time: timeMs };
		if (this.#random() >= tradesPerEvent) return { symbol: of.symbol, kind: "quote", data: { ...common, bid, ask } };
		const side = this.#random() < 0.5 ? "buy" : "sell";
		// Many small trades, few large ones.
		const size = rounded((1000 / of.price) * -Math.log(1 - this.#random()));
		return { symbol: of.symbol, kind: "trade", data: { ...common, side, price: side === "buy" ? ask : bid, size } };
	}

	#pick() {
		let left = this.#random();
		for (const of of this.#symbols) {
			left -= of.share;
			if (left < 0) return of;
		}
		return this.#symbols[0]!;
	}
}

function rounded(value: number): number {
	return Number(value.toPrecision(6));
}
