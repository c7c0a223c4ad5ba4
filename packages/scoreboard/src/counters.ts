import type { BoardRow } from "./rows/board-row.ts";

/** The part of this shard's scoreboard row that its parts count in. A test gives a row of a scoreboard in memory. */
export type Counters = Pick<BoardRow, "add" | "set" | "get" | "histograms">;
