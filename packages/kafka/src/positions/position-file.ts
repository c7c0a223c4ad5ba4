import { linkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { SharedFile } from "@shardcast/native";
import { PositionTable } from "./position-table.ts";

/** Partitions that one cluster can follow: 2 MB of shared memory. */
export const rowsMax = 2048;

/**
 * The cluster's position table, made by whichever shard comes first. Several may come at once: each makes a file under a name of
 * its own, and only one gets the name that counts.
 */
export function openPositionFile(clusterPath: string): { readonly table: PositionTable; readonly close: () => void } {
	const path = join(clusterPath, "kafka-positions");
	const own = `${path}.${process.pid}`;
	const made = SharedFile.create(own, PositionTable.bytes(rowsMax), (buffer) => PositionTable.format(buffer, rowsMax));
	made.close();
	try {
		linkSync(own, path);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
	} finally {
		rmSync(own, { force: true });
	}
	const file = SharedFile.open(path);
	return { table: new PositionTable(file.buffer), close: () => file.close() };
}

/** The same for a shard that has no siblings and no cluster directory. */
export function positionsInMemory(): PositionTable {
	const buffer = new ArrayBuffer(PositionTable.bytes(rowsMax));
	PositionTable.format(buffer, rowsMax);
	return new PositionTable(buffer);
}
