/** CPU of Redis since its start, in ms, from its answer to `INFO cpu`. */
export function redisCpuMs(info: string): number {
	const seconds = ["used_cpu_sys", "used_cpu_user"].map((name) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? Number.NaN));
	return (seconds[0]! + seconds[1]!) * 1000;
}
