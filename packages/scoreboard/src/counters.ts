import type { BoardRow } from "./rows/board-row.ts";

/** The counters in this shard's scoreboard row. Tests pass a row of a scoreboard in memory. */
export type Counters = Pick<BoardRow, "add" | "set" | "get" | "histograms">;
