throw new Error('not built: msgpackr goes on without it');
