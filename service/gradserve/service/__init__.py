"""A service of this process: its calls, from the connection that they come by to the answer."""

from gradserve.service.listening.polling import load_grpc

load_grpc()  # before any module here imports it
