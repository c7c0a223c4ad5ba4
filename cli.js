#!/usr/bin/env node
import "@shardcast/supervisor";
