"""The demo: five real transfers on a network of real processes, as a user sends and watches them."""
