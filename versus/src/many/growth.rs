//! How the cost of the ring of many grows: with seats, capacity, length, and participants.
