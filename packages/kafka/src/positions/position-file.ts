import { join } from "node:path";
import { SharedFile } from "@shardcast/native";
import { PositionTable } from "./position-table.ts";

/** Most partitions that a cluster can read: 2 MB of shared memory. */
export const rowsMax = 2048;

/** Size of the position file. */
export const positionFileBytes: number = PositionTable.bytes(rowsMax);

const pathIn = (clusterPath: string) => join(clusterPath, "kafka-positions");

/** Creates the cluster's position table. Called by the supervisor before any shard starts. */
export function createPositionFile(clusterPath: string): void {
	const format = (buffer: ArrayBuffer) => PositionTable.format(buffer, rowsMax);
	SharedFile.create(pathIn(clusterPath), positionFileBytes, format).close();
}

/** Opens the position table that the supervisor has created. */
export function openPositionFile(clusterPath: string): { readonly table: PositionTable; readonly close: () => void } {
	const file = SharedFile.open(pathIn(clusterPath));
	try {
		return { table: new PositionTable(file.buffer), close: () => file.close() };
	} catch (error) {
		file.close();
		throw error;
	}
}

/** A position table for a shard that runs alone, without a cluster directory. */
export function positionsInMemory(): PositionTable {
	const buffer = new ArrayBuffer(positionFileBytes);
	PositionTable.format(buffer, rowsMax);
	return new PositionTable(buffer);
}
